variable "network" { type = string }
variable "size" { type = string }
variable "password" {
  type      = string
  sensitive = true
}

resource "terraform_data" "host" {
  input            = { network = var.network, size = var.size }
  triggers_replace = [var.size]
}

resource "terraform_data" "database" {
  input            = { user = "serving", password = var.password }
  triggers_replace = [var.network]
}

output "engine" {
  value = "unix:///var/run/docker.sock"
}

output "password" {
  value     = var.password
  sensitive = true
}
