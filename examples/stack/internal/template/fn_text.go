package template

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"maps"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// demand is what a kind of str_replace demands of its parameters.
type demand int

const (
	textOnly      demand = 1 << iota // no lists and maps
	mustOccur                        // every one occurs in the template
	mustHaveValue                    // none is empty
)

func strReplace(demands demand) function {
	return function{check: withKeys("template", "params"), eval: func(ev *evaluator, arg *Value) (any, error) {
		tmpl, err := ev.value(arg.get("template"))
		if err != nil {
			return nil, err
		}
		params, err := ev.value(arg.get("params"))
		if err != nil {
			return nil, err
		}
		return replaced(tmpl, params, demands)
	}}
}

var fnReplace = function{check: items(2, 2, "a map and a string"), eval: func(ev *evaluator, arg *Value) (any, error) {
	args, err := ev.values(arg.list)
	if err != nil {
		return nil, err
	}
	return replaced(args[1], args[0], textOnly)
}}

func replaced(tmpl, with any, demands demand) (any, error) {
	params, err := asMap(with)
	if err != nil {
		return nil, err
	}
	text := Text(tmpl)
	for _, k := range slices.Sorted(maps.Keys(params)) {
		switch v := params[k]; {
		case demands&mustOccur != 0 && !strings.Contains(text, k):
			return nil, fmt.Errorf("%q does not occur in the template", k)
		case demands&mustHaveValue != 0 && isEmpty(v):
			return nil, fmt.Errorf("%q has no value", k)
		case demands&textOnly != 0 && isCollection(v):
			return nil, fmt.Errorf("%q must be a string or a number in this version of the language", k)
		}
	}
	return madeOf(substitute(text, params), []any{tmpl, with}), nil
}

func isCollection(v any) bool {
	switch v.(type) {
	case []any, map[string]any:
		return true
	}
	return false
}

func isEmpty(v any) bool {
	switch v := v.(type) {
	case []any:
		return len(v) == 0
	case map[string]any:
		return len(v) == 0
	}
	return Text(v) == ""
}

// substitute replaces the keys of params in text, the longest first, and none
// in what was put in.
func substitute(text string, params map[string]any) string {
	keys := keysOf(params)
	slices.SortFunc(keys, func(a, b string) int {
		if len(a) != len(b) {
			return len(b) - len(a)
		}
		return strings.Compare(a, b)
	})
	parts := []string{text}
	return strings.Join(substituteEach(parts, keys, params), "")
}

// substituteEach replaces the first key in every part, and the other ones in
// what lies between its occurrences.
func substituteEach(parts, keys []string, params map[string]any) []string {
	for len(keys) > 0 && keys[0] == "" {
		keys = keys[1:]
	}
	if len(keys) == 0 {
		return parts
	}
	done := make([]string, len(parts))
	for i, part := range parts {
		between := substituteEach(strings.Split(part, keys[0]), keys[1:], params)
		done[i] = strings.Join(between, Text(params[keys[0]]))
	}
	return done
}

var strSplit = function{
	check: itemsOrCall(2, unlimited, "a delimiter, a string and perhaps an index"),
	eval: func(ev *evaluator, arg *Value) (any, error) {
		args, err := ev.arguments(arg, 2)
		if err != nil || args[1] == nil {
			return nil, err
		}
		parts, err := split(Text(args[1]), Text(args[0]))
		if err != nil || len(args) < 3 {
			return parts, err
		}
		i, err := strconv.Atoi(Text(args[2]))
		if err != nil || i < -len(parts) || i >= len(parts) {
			return nil, fmt.Errorf("index %s of %d parts", Text(args[2]), len(parts))
		}
		if i < 0 {
			i += len(parts)
		}
		return parts[i], nil
	},
}

var fnSplit = function{check: items(2, 2, "a delimiter and a string"), eval: func(ev *evaluator, arg *Value) (any, error) {
	args, err := ev.values(arg.list)
	if err != nil {
		return nil, err
	}
	return split(Text(args[1]), Text(args[0]))
}}

func split(text, delimiter string) ([]any, error) {
	if delimiter == "" {
		return nil, errors.New("the delimiter is empty")
	}
	var parts []any
	for part := range strings.SplitSeq(text, delimiter) {
		parts = append(parts, part)
	}
	return parts, nil
}

var base64 = function{eval: func(ev *evaluator, arg *Value) (any, error) {
	v, err := ev.value(arg)
	return Text(v), err // Heat takes plain text wherever a template encodes it
}}

var digest = function{check: itemsOrCall(2, 2, "an algorithm and a value"), eval: func(ev *evaluator, arg *Value) (any, error) {
	args, err := ev.arguments(arg, 2)
	if err != nil {
		return nil, err
	}
	algorithms := map[string]func() hash.Hash{
		"md5": md5.New, "sha1": sha1.New, "sha224": sha256.New224,
		"sha256": sha256.New, "sha384": sha512.New384, "sha512": sha512.New,
	}
	newHash, known := algorithms[strings.ToLower(Text(args[0]))]
	if !known {
		return nil, fmt.Errorf("unknown algorithm %q", Text(args[0]))
	}
	h := newHash()
	for _, r := range Text(args[1]) {
		if r > 0xff {
			return nil, fmt.Errorf("%q is not in Latin-1", r)
		}
		h.Write([]byte{byte(r)})
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}}

var urlKeys = []string{"scheme", "username", "password", "host", "port", "path", "query", "fragment"}

var makeURL = function{
	check: func(arg *Value) string {
		for _, e := range arg.entries {
			if !slices.Contains(urlKeys, e.key) {
				return fmt.Sprintf("unknown key %q%s", e.key, didYouMean(e.key, urlKeys))
			}
		}
		if arg.kind != mapKind && arg.kind != callKind {
			return "needs a map of " + strings.Join(urlKeys, ", ")
		}
		return ""
	},
	eval: func(ev *evaluator, arg *Value) (any, error) {
		v, err := ev.value(arg)
		if err != nil {
			return nil, err
		}
		parts, err := asMap(v)
		if err != nil {
			return nil, err
		}
		return assembleURL(parts, arg.get("query"))
	},
}

// withAuthority are the schemes whose URLs have two slashes, even if no host
// follows them.
var withAuthority = []string{
	"file", "ftp", "git", "git+ssh", "gopher", "http", "https", "imap", "mms", "nfs", "nntp", "prospero", "rsync",
	"rtsp", "rtspu", "sftp", "shttp", "snews", "svn", "svn+ssh", "telnet", "wais", "ws", "wss",
}

// assembleURL puts a URL together, with the query in an order.
func assembleURL(parts map[string]any, order *Value) (any, error) {
	scheme := Text(parts["scheme"])
	if strings.Contains(scheme, ":") {
		return nil, fmt.Errorf("scheme %q has a colon", scheme)
	}
	authority, err := authority(parts)
	if err != nil {
		return nil, err
	}
	query, err := asMap(parts["query"])
	if err != nil {
		return nil, err
	}
	text := escapePath(Text(parts["path"]))
	if authority != "" || slices.Contains(withAuthority, scheme) && !strings.HasPrefix(text, "//") {
		if text != "" && !strings.HasPrefix(text, "/") {
			text = "/" + text
		}
		text = "//" + authority + text
	}
	if scheme != "" {
		text = scheme + ":" + text
	}
	if len(query) > 0 {
		var pairs []string
		for _, k := range inOrder(query, order) {
			pairs = append(pairs, url.QueryEscape(k)+"="+url.QueryEscape(Text(query[k])))
		}
		text += "?" + strings.ReplaceAll(strings.Join(pairs, "&"), "%2F", "/")
	}
	if fragment := escapePath(Text(parts["fragment"])); fragment != "" {
		text += "#" + fragment
	}
	return text, nil
}

// authority is the part of a URL with user, host and port.
func authority(parts map[string]any) (string, error) {
	var b strings.Builder
	name, password := escapeAll(Text(parts["username"])), escapeAll(Text(parts["password"]))
	if name != "" || password != "" {
		b.WriteString(name)
		if password != "" {
			b.WriteString(":" + password)
		}
		b.WriteString("@")
	}
	host := strings.TrimSuffix(strings.TrimPrefix(Text(parts["host"]), "["), "]")
	if _, err := netip.ParseAddr(host); err == nil && strings.Contains(host, ":") {
		b.WriteString("[" + host + "]")
	} else if host = strings.ReplaceAll(escapeAll(host), "%3A", ":"); strings.Contains(host, ":") {
		b.WriteString("[" + host + "]")
	} else {
		b.WriteString(host)
	}
	if parts["port"] != nil && Text(parts["port"]) != "" {
		port, err := strconv.Atoi(Text(parts["port"]))
		if err != nil || port < 1 || port > 65535 {
			return "", fmt.Errorf("port %q is not a number from 1 to 65535", Text(parts["port"]))
		}
		b.WriteString(":" + strconv.Itoa(port))
	}
	return b.String(), nil
}

// escapeAll escapes all but letters, digits and "-._~".
func escapeAll(text string) string { return strings.ReplaceAll(url.QueryEscape(text), "+", "%20") }

// escapePath is escapeAll that leaves slashes.
func escapePath(text string) string { return strings.ReplaceAll(escapeAll(text), "%2F", "/") }
