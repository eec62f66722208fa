package chance

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

func near(got, want float64) bool { return math.Abs(got-want) <= 1e-9*math.Max(math.Abs(want), 1e-3) }

// sum is P(Bin(n, p) >= k), term by term.
func sum(k, n int, p float64) float64 {
	total := 0.0
	for i := k; i <= n; i++ {
		a, _ := math.Lgamma(float64(n + 1))
		b, _ := math.Lgamma(float64(i + 1))
		c, _ := math.Lgamma(float64(n - i + 1))
		total += math.Exp(a - b - c + float64(i)*math.Log(p) + float64(n-i)*math.Log1p(-p))
	}
	return total
}

func TestCountsAreSums(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 400).Draw(t, "n")
		k := rapid.IntRange(0, n).Draw(t, "k")
		p := rapid.Float64Range(.01, .99).Draw(t, "p")
		if got, want := AtLeast(k, n, p), sum(max(k, 0), n, p); math.Abs(got-want) > 1e-9 {
			t.Fatalf("AtLeast(%d, %d, %v) = %v; want %v", k, n, p, got, want)
		}
		if got, want := AtMost(k, n, p), 1-AtLeast(k+1, n, p); math.Abs(got-want) > 1e-9 {
			t.Fatalf("AtMost(%d, %d, %v) = %v; want %v", k, n, p, got, want)
		}
	})
	if got, want := AtLeast(59, 59, .95), math.Pow(.95, 59); !near(got, want) {
		t.Errorf("AtLeast(59, 59, 0.95) = %v; want %v", got, want)
	}
}

// The quantiles of Student's t and of the normal distribution are those of the tables.
func TestQuantiles(t *testing.T) {
	for _, test := range []struct{ p, df, want float64 }{
		{.975, 1, 12.706205}, {.95, 6, 1.943180}, {.975, 6, 2.446912}, {.95, 8, 1.859548}, {.975, 30, 2.042272}, {.025, 8, -2.306004}, {.5, 3, 0},
	} {
		if got := StudentQuantile(test.p, test.df); math.Abs(got-test.want) > 1e-5 {
			t.Errorf("StudentQuantile(%v, %v) = %v; want %v", test.p, test.df, got, test.want)
		}
	}
	for _, test := range []struct{ p, want float64 }{{.975, 1.959964}, {.5, 0}, {.001, -3.090232}} {
		if got := NormalQuantile(test.p); math.Abs(got-test.want) > 1e-5 {
			t.Errorf("NormalQuantile(%v) = %v; want %v", test.p, got, test.want)
		}
		if got := Normal(test.want); math.Abs(got-test.p) > 1e-6 {
			t.Errorf("Normal(%v) = %v; want %v", test.want, got, test.p)
		}
	}
	if !math.IsInf(StudentQuantile(1, 5), 1) || !math.IsInf(StudentQuantile(0, 5), -1) {
		t.Error("the quantiles of 0 and 1 are not infinite")
	}
}

func TestStudentIsTheInverse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := rapid.Float64Range(.0001, .9999).Draw(t, "p")
		df := rapid.Float64Range(1, 200).Draw(t, "df")
		if got := Student(StudentQuantile(p, df), df); math.Abs(got-p) > 1e-9 {
			t.Fatalf("Student(StudentQuantile(%v, %v)) = %v; want it back", p, df, got)
		}
	})
}
