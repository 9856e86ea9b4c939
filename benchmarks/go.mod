module github.com/steptask/scheduler/benchmarks

go 1.25.0

require (
	github.com/creachadair/taskgroup v0.14.4
	github.com/heimdalr/dag v1.5.0
	github.com/sourcegraph/conc v0.3.0
	github.com/steptask/scheduler v0.1.0
	github.com/stretchr/testify v1.12.1
	go.uber.org/goleak v1.3.0
	golang.org/x/sync v0.22.0
)

require (
	github.com/emirpasic/gods v1.18.1 // indirect
	github.com/google/uuid v1.3.0 // indirect
	go.uber.org/atomic v1.7.0 // indirect
	go.uber.org/multierr v1.9.0 // indirect
	go.yaml.in/yaml/v3 v3.0.5 // indirect
)

replace github.com/steptask/scheduler => ../
