package scheduler

// Observers returns an Observer that tells each of observers, in that order; nil
// ones are left out. It is a [SlowStepObserver] if one of them is, and warns
// those that are. Of a single one it returns that one, and of none nil, for
// which a group pays nothing.
func Observers(observers ...Observer) Observer {
	var all observerList
	var slow slowStepList
	for _, o := range observers {
		if o == nil {
			continue
		}
		all = append(all, o)
		if s, ok := o.(SlowStepObserver); ok {
			slow.warned = append(slow.warned, s)
		}
	}
	switch {
	case len(all) == 0:
		return nil
	case len(all) == 1:
		return all[0]
	case len(slow.warned) == 0:
		return all
	}
	slow.observerList = all
	return slow
}

type observerList []Observer

func (l observerList) Observe(t Transition) {
	for _, o := range l {
		o.Observe(t)
	}
}

// slowStepList is a list some of which are warned of slow steps.
type slowStepList struct {
	observerList
	warned []SlowStepObserver
}

func (l slowStepList) ObserveSlowStep(s SlowStep) {
	for _, o := range l.warned {
		o.ObserveSlowStep(s)
	}
}
