package main

import (
	"fmt"
	"net"
	"net/http"
	"strings"

	"github.com/steptask/scheduler/inspect"
)

// servePage serves a page that shows the runs until closePage is called.
func servePage(address string) (_ *inspect.Page, closePage func(), err error) {
	if strings.HasPrefix(address, ":") {
		address = "localhost" + address
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, nil, fmt.Errorf("-inspect: %w", err)
	}
	page := inspect.New(nil)
	server := &http.Server{Handler: page}
	served := make(chan struct{})
	go func() {
		defer close(served)
		server.Serve(listener) //nolint:errcheck // it ends by Close
	}()
	fmt.Printf("See it live at http://%s/\n", listener.Addr())
	return page, func() {
		page.Close()
		server.Close() //nolint:errcheck // nobody is there any more
		<-served
	}, nil
}
