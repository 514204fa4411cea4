variable "region" {
  description = "Where the layers are published"
  type        = string
  default     = "us-east-1"
}

variable "layer_arns" {
  description = "Region, then layer: layerkit arns --format tfvars"
  type        = map(map(string))
}

variable "django_secret_key" {
  description = "Django's SECRET_KEY; give it as TF_VAR_django_secret_key"
  type        = string
  sensitive   = true

  validation {
    condition     = length(var.django_secret_key) >= 50
    error_message = "Django wants at least 50 characters."
  }
}
