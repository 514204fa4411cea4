# Each function may write into its own log group, and nothing else.

resource "aws_cloudwatch_log_group" "function" {
  for_each = aws_apigatewayv2_api.http

  name              = "/aws/lambda/${each.key}"
  retention_in_days = 14
}

resource "aws_iam_role" "function" {
  for_each = aws_apigatewayv2_api.http

  name = each.key
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "lambda.amazonaws.com" }
    }]
  })
}

resource "aws_iam_role_policy" "logs" {
  for_each = aws_cloudwatch_log_group.function

  name = "logs"
  role = aws_iam_role.function[each.key].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect   = "Allow"
      Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
      Resource = "${each.value.arn}:*"
    }]
  })
}
