package inspect

import (
	"net"
	"net/netip"
	"strings"
)

// hosts are the names by which browsers may ask for the page.
type hosts struct {
	all   bool
	names map[string]bool // in lower case, without a dot at the end
}

func newHosts(names []string) hosts {
	h := hosts{names: map[string]bool{}}
	for _, name := range names {
		h.all = h.all || name == "*"
		h.names[plainHost(name)] = true
	}
	return h
}

// allow reports whether a request for a host may be answered. A page elsewhere
// can make a name of its own stand for this machine, but neither an address nor
// localhost, which browsers resolve themselves.
func (h hosts) allow(hostport string) bool {
	if h.all {
		return true
	}
	host := hostport
	if name, _, err := net.SplitHostPort(hostport); err == nil {
		host = name
	}
	host = plainHost(host)
	if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return true
	}
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || h.names[host]
}

func plainHost(name string) string { return strings.TrimSuffix(strings.ToLower(name), ".") }
