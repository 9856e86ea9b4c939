package inspect_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/inspect"
)

// See a run in the browser: the page is an Observer.
func Example() {
	page := inspect.New(nil)
	http.Handle("/debug/scheduler/", page)

	deps := scheduler.NewDependencies[string]()
	deps.Add("server", "network")
	create := func(name string) scheduler.Task {
		return scheduler.Func(func(context.Context) error {
			fmt.Println("creating", name)
			return nil
		})
	}
	group, err := scheduler.NewDependencyTaskGroup(deps, create,
		&scheduler.GroupOptions[string]{Name: "site", Observer: page})
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := scheduler.Run(context.Background(), group, nil); err != nil {
		fmt.Println(err)
	}

	// The page and its JSON are at http://…/debug/scheduler/ now.
	w := httptest.NewRecorder()
	http.DefaultServeMux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "http://localhost/debug/scheduler/node?id=1&node=1", nil))
	fmt.Println(w.Body.String()[:63])
	// Output:
	// creating network
	// creating server
	// {"run":1,"node":1,"name":"server","state":"succeeded","layer":1
}
