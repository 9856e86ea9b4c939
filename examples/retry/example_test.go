package main

func Example() {
	main()
	// Output:
	// attempt 1 after 0s
	// attempt 2 after 1s
	// attempt 3 after 2.5s
	// attempt 4 after 4.75s
}
