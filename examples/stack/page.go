package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"

	"github.com/steptask/scheduler/inspect"
)

// names are those of this machine by which the page may be asked for.
func names(address string) []string {
	var names []string
	if host, _, err := net.SplitHostPort(address); err == nil && host != "" {
		names = append(names, host)
	}
	if host, err := os.Hostname(); err == nil {
		names = append(names, host)
	}
	return names
}

// servePage serves a page that shows the runs until closePage is called.
func servePage(address string) (_ *inspect.Page, closePage func(), err error) {
	if strings.HasPrefix(address, ":") {
		address = "localhost" + address
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, nil, fmt.Errorf("-inspect: %w", err)
	}
	page := inspect.New(&inspect.Options{Hosts: names(address)})
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
