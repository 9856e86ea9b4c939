module github.com/steptask/scheduler/docs/comingfrom

go 1.26.0

replace github.com/steptask/scheduler => ../../

require (
	github.com/hashicorp/terraform v0.10.8
	github.com/steptask/scheduler v0.0.0-00010101000000-000000000000
	github.com/stretchr/testify v1.12.1
	go.uber.org/goleak v1.3.0
	golang.org/x/sync v0.22.0
)

require (
	github.com/hashicorp/errwrap v1.0.0 // indirect
	github.com/hashicorp/go-multierror v1.1.1 // indirect
	github.com/hashicorp/logutils v1.0.0 // indirect
	go.yaml.in/yaml/v3 v3.0.5 // indirect
)
