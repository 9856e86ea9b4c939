package claims

// Times is times, for its test.
var Times = times

// Weights returns the sum of weights, less some others, as far as it is a number.
func Weights(plus, minus []int) int {
	var sum amount
	for _, w := range plus {
		sum.add(of(w))
	}
	for _, w := range minus {
		sum.sub(of(w))
	}
	return sum.number()
}
