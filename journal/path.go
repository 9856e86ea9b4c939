package journal

import (
	"encoding/json"
	"errors"
	"strings"
)

// The path of a node is what the file knows it by: keys and names of groups as
// JSON, with slashes between them. JSON has slashes in strings only, so no two
// nodes have one path. The nodes of a roll-back are below one element that is no
// JSON.
const rollbackPath = "~"

// join appends an element to a path.
func join(path, element string) string {
	if path == "" {
		return element
	}
	return path + "/" + element
}

// element returns a key or a name as part of a path.
func element(key any) (string, error) {
	text, err := json.Marshal(key)
	return string(text), err
}

// shown returns a path as people read it: strings without quotes.
func shown(path string) string {
	var parts []string
	for path != "" {
		var part any
		d := json.NewDecoder(strings.NewReader(path))
		end := len(path)
		if d.Decode(&part) == nil {
			end = int(d.InputOffset())
		} else if path == rollbackPath || strings.HasPrefix(path, rollbackPath+"/") {
			end, part = len(rollbackPath), ""
		}
		switch text, isText := part.(string); {
		case isText && text != "":
			parts = append(parts, text)
		case !isText:
			parts = append(parts, path[:end])
		}
		path = strings.TrimPrefix(path[end:], "/")
	}
	return strings.Join(parts, "/")
}

var errTwins = errors.New("another key is the same as JSON")
