module reeve.dev/plugins/spread-pods

go 1.24
