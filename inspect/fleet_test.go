package inspect_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/inspect"
)

// fleet is a graph of 10,000 nodes: regions, racks, hosts, their disks and
// machines, and what runs on these.
func fleet() *scheduler.Dependencies[string] {
	deps := scheduler.NewDependencies[string]()
	for r := range 10 {
		region := fmt.Sprintf("region-%d", r)
		deps.Add(region)
		for k := range 9 {
			rack := fmt.Sprintf("rack-%d-%d", r, k)
			deps.Add(rack, region)
			for h := range 11 {
				host := fmt.Sprintf("host-%d-%d-%d", r, k, h)
				deps.Add(host, rack)
				for m := range 3 {
					id := fmt.Sprintf("%d-%d-%d-%d", r, k, h, m)
					deps.Add("disk-"+id, host)
					deps.Add("vm-"+id, host, "disk-"+id)
					deps.Add("service-"+id, "vm-"+id)
				}
			}
		}
	}
	return deps
}

func TestBrowser_of_ten_thousand_nodes(t *testing.T) {
	page := inspect.New(nil)
	w := open(t, page, 1360, 800)
	if w == nil {
		return
	}
	deps := fleet()
	var half scheduler.Event
	group := watchedGroup(t, page, deps, func(name string) scheduler.Task {
		switch {
		case name == "host-3-4-5":
			return scheduler.Func(func(context.Context) error { return errSpace })
		case len(name) > 4 && name[:3] == "vm-" && (name[3]-'0')%2 == 1:
			return scheduler.Pause(scheduler.On(&half))
		}
		return scheduler.Pause(scheduler.Next)
	}, &scheduler.GroupOptions[string]{Name: "fleet", AggregateErrors: true})
	end := make(chan error, 1)
	go func() { end <- scheduler.Run(context.Background(), group, nil) }()

	// Half of it is done. What is drawn is folded, and rows that are out of
	// sight are not there.
	w.until(`document.getElementById('found').innerText === '10,000' && document.getElementById('done').innerText.startsWith('7,036 ')`)
	w.until(`document.querySelectorAll('#graph .item').length === 6`)
	require.Less(t, eval[int](w, `document.querySelectorAll('#graph .item').length`), 100)
	require.Less(t, eval[int](w, `document.querySelectorAll('#list .row').length`), 100)
	w.shot("large")

	// A fold opens and closes by keyboard.
	w.do(chromedp.Focus(`//*[@id='graph']//*[starts-with(@aria-label,'vm-')]`), chromedp.KeyEvent(kb.Enter))
	w.until(`document.querySelectorAll('#graph .item').length > 60 && document.activeElement.ariaLabel.startsWith('vm-')`)
	w.shot("large-open")
	w.do(chromedp.KeyEvent(kb.Enter))
	w.until(`document.querySelectorAll('#graph .item').length < 60`)
	for _, way := range []string{"level", "prefix", "none", "auto"} {
		w.do(chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`{
			const fold = document.getElementById('fold');
			fold.value = %q;
			fold.dispatchEvent(new Event('change'));
		}`, way)))
		w.until(`document.querySelectorAll('#graph .item').length >= 6 && document.querySelectorAll('#graph .item').length < 1500`)
	}

	// The search finds a node, which is in a fold.
	w.do(chromedp.SendKeys(chromedp.CSS("#search"), "host-3-4-5"))
	w.until(`document.getElementById('found').innerText === '1 of 10,000' && document.querySelector('#list .row .note').innerText !== ''`)
	w.do(click("#list .row"))
	w.until(`document.querySelector('#node .chain')?.innerText.includes('no space left')`)

	// The rest of it goes by while the page looks on.
	half.Set()
	w.until(`document.getElementById('status').innerText === 'failed' && document.getElementById('done').innerText === '10,000 of 10,000'`)
	require.ErrorContains(t, <-end, "1 task failed")
	w.do(chromedp.KeyEvent(kb.Escape), chromedp.Focus("#search"), chromedp.KeyEvent(kb.Escape), click("#tab-timeline"))
	w.until(`document.getElementById('found').innerText === '10,000' && document.querySelectorAll('#bars .row').length > 20`)
	require.Less(t, eval[int](w, `document.querySelectorAll('#bars .row').length`), 100)
	w.shot("large-timeline")
	w.silent()
}
