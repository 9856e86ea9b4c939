package schedulertest

func init() { stepsMax = 1000 }
