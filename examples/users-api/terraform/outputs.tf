output "url" {
  value = aws_apigatewayv2_api.users_api.api_endpoint
}
