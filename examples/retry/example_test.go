package main

func Example() {
	main()
	// Output:
	// attempt 1 after 0s
	// attempt 2 after 1s
	// attempt 3 after 2.5s
	// attempt 4 after 4.75s
	// call 1 after 0s
	// call 2 after 1s
	// call 3 after 1m1s
	// call 4 after 1m2s
	// 4 <nil>
	// call 1 after 0s
	// call 2 after 1s
	// 2 no quota left
}
