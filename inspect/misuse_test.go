package inspect_test

import (
	"net/http"
	"net/http/httptest"
	"reflect"
	"testing"

	"github.com/steptask/scheduler/inspect"
	"github.com/steptask/scheduler/internal/misuse"
)

func TestMisuse_of_everything(t *testing.T) {
	misuse.Package{
		Name: "inspect", Dir: ".",
		Functions: map[string]any{"New": inspect.New},
		Types:     []any{(*inspect.Page)(nil)},
		Always: map[reflect.Type]any{
			reflect.TypeFor[http.ResponseWriter](): httptest.NewRecorder(),
			reflect.TypeFor[*http.Request]():       httptest.NewRequest(http.MethodGet, "/runs", nil),
		},
	}.Try(t)
}
