# An HTTP API for each function, which gets every request.

resource "aws_apigatewayv2_api" "http" {
  for_each = toset(["flask-lambda", "django-lambda"])

  name          = each.key
  protocol_type = "HTTP"
}

resource "aws_apigatewayv2_stage" "default" {
  for_each = aws_apigatewayv2_api.http

  api_id      = each.value.id
  name        = "$default"
  auto_deploy = true
}

resource "aws_apigatewayv2_integration" "function" {
  for_each = aws_lambda_function.app

  api_id                 = aws_apigatewayv2_api.http[each.key].id
  integration_type       = "AWS_PROXY"
  integration_uri        = each.value.invoke_arn
  payload_format_version = "2.0"
}

resource "aws_apigatewayv2_route" "default" {
  for_each = aws_apigatewayv2_integration.function

  api_id    = aws_apigatewayv2_api.http[each.key].id
  route_key = "$default"
  target    = "integrations/${each.value.id}"
}

resource "aws_lambda_permission" "api" {
  for_each = aws_lambda_function.app

  action        = "lambda:InvokeFunction"
  function_name = each.value.function_name
  principal     = "apigateway.amazonaws.com"
  source_arn    = "${aws_apigatewayv2_api.http[each.key].execution_arn}/*"
}

output "urls" {
  value = { for name, api in aws_apigatewayv2_api.http : name => api.api_endpoint }
}
