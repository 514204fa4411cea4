provider "aws" {
  region = var.region
}

# Users

resource "aws_dynamodb_table" "users" {
  name                        = var.name
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = "id"
  deletion_protection_enabled = var.protect_users

  attribute {
    name = "id"
    type = "S"
  }

  point_in_time_recovery {
    enabled = true
  }
}

# The function, with the layers in the order that layers.yaml has: the last one lies on top

resource "aws_lambda_function" "users_api" {
  function_name    = var.name
  role             = aws_iam_role.users_api.arn
  filename         = var.package
  source_code_hash = filebase64sha256(var.package)
  handler          = "main.handler" # lambda-wsgi's
  runtime          = "python3.12"
  architectures    = ["arm64"]
  memory_size      = 512
  timeout          = 10

  layers = [
    var.layer_arns[var.region]["flask"],
    var.layer_arns[var.region]["lambda-wsgi"],
  ]

  environment {
    variables = {
      USERS_TABLE = aws_dynamodb_table.users.name
    }
  }

  # or Lambda makes the log group at the first start, and it keeps its lines for ever
  depends_on = [aws_cloudwatch_log_group.users_api, aws_iam_role_policy.users_api]
}

resource "aws_cloudwatch_log_group" "users_api" {
  name              = "/aws/lambda/${var.name}"
  retention_in_days = var.log_days
}

# What the function may do, and no more

resource "aws_iam_role" "users_api" {
  name = "${var.name}-${var.region}"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "lambda.amazonaws.com" }
    }]
  })
}

resource "aws_iam_role_policy" "users_api" {
  name = "users-and-logs"
  role = aws_iam_role.users_api.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect   = "Allow"
        Action   = ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Scan"]
        Resource = aws_dynamodb_table.users.arn
      },
      {
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = "${aws_cloudwatch_log_group.users_api.arn}:*"
      },
    ]
  })
}

# The HTTP API: every request goes to the function, so that Flask answers what it has no route for, too

resource "aws_apigatewayv2_api" "users_api" {
  name          = var.name
  protocol_type = "HTTP"
}

resource "aws_apigatewayv2_integration" "users_api" {
  api_id                 = aws_apigatewayv2_api.users_api.id
  integration_type       = "AWS_PROXY"
  integration_uri        = aws_lambda_function.users_api.invoke_arn
  payload_format_version = "2.0"
}

resource "aws_apigatewayv2_route" "all" {
  api_id    = aws_apigatewayv2_api.users_api.id
  route_key = "$default"
  target    = "integrations/${aws_apigatewayv2_integration.users_api.id}"
}

resource "aws_apigatewayv2_stage" "default" {
  api_id      = aws_apigatewayv2_api.users_api.id
  name        = "$default"
  auto_deploy = true

  default_route_settings {
    throttling_burst_limit = 50
    throttling_rate_limit  = 25 # requests per second
  }
}

resource "aws_lambda_permission" "http_api" {
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.users_api.function_name
  principal     = "apigateway.amazonaws.com"
  source_arn    = "${aws_apigatewayv2_api.users_api.execution_arn}/*"
}
