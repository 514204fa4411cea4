terraform {
  required_version = ">= 1.5"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0"
    }
  }
}

provider "aws" {
  region = var.region
}

locals {
  arns = var.layer_arns[var.region]

  functions = {
    flask-lambda = {
      handler   = "app.app"
      layers    = [local.arns["flask"], local.arns["lambda-wsgi"]]
      variables = {}
    }
    django-lambda = {
      handler = "lambda_function.handler"
      layers  = [local.arns["django"], local.arns["lambda-wsgi"]]
      variables = {
        ALLOWED_HOSTS = trimprefix(aws_apigatewayv2_api.http["django-lambda"].api_endpoint, "https://")
        SECRET_KEY    = var.django_secret_key
      }
    }
  }
}

resource "aws_lambda_function" "app" {
  for_each = local.functions

  function_name    = each.key
  role             = aws_iam_role.function[each.key].arn
  runtime          = "python3.12"
  architectures    = ["arm64"]
  handler          = each.value.handler
  layers           = each.value.layers
  filename         = "${path.module}/${each.key}.zip"
  source_code_hash = filebase64sha256("${path.module}/${each.key}.zip")
  memory_size      = 512
  timeout          = 10

  environment {
    variables = each.value.variables
  }

  logging_config {
    log_format = "JSON"
    log_group  = aws_cloudwatch_log_group.function[each.key].name
  }

  depends_on = [aws_iam_role_policy.logs] # else the first requests are not logged
}
