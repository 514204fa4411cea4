variable "layer_arns" {
  description = "Region, layer: layerkit arns --format tfvars > layer_arns.auto.tfvars"
  type        = map(map(string))
}

variable "region" {
  description = "Where all this is; the layers are published there"
  type        = string
  default     = "us-east-1"
}

variable "name" {
  description = "Of the function, the table and the API"
  type        = string
  default     = "users-api"
}

variable "package" {
  description = "The function's zip: python3 -m zipfile -c users-api.zip src/*.py"
  type        = string
  default     = "../users-api.zip"
}

variable "protect_users" {
  description = "Whether the table refuses to be deleted"
  type        = bool
  default     = true
}

variable "log_days" {
  description = "How long log lines are kept"
  type        = number
  default     = 30
}
