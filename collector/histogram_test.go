package collector

import (
	"fmt"
	"math"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"
)

// inBubble hides the deadline of a test, which cannot be asked for where time is not real.
type inBubble struct{ *testing.T }

func (inBubble) Deadline() (time.Time, bool) { return time.Time{}, false }

// histogramPair is one of ours, and client_golang's as we would have it.
func histogramPair(f *sharedFamily) (*histogram, prometheus.Histogram) {
	now := time.Now()
	return newHistogram(f, nil, now, timestamppb.New(now)), prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: f.Name, Help: f.Help, Buckets: f.Buckets,
		NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: maxNative, NativeHistogramMinResetDuration: fineAgain,
	})
}

// written is what a scrape reads of it.
func written(t interface{ Fatal(...any) }, m prometheus.Metric) *dto.Metric {
	d := new(dto.Metric)
	if err := m.Write(d); err != nil {
		t.Fatal(err)
	}
	return d
}

// Whatever is observed, and whenever, a scrape reads the same as of client_golang's histogram: buckets of both kinds, also when
// there are too many of them and when an hour has passed since, sums, exemplars, and when it was created.
func TestHistogramIsAsClientGolangs(t *testing.T) {
	table := newFamilyTable()
	var names []string
	for _, f := range Families() {
		if f.Kind == Histogram {
			names = append(names, f.Name)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		rapid.Check(inBubble{t}, func(t *rapid.T) {
			ours, theirs := histogramPair(table[rapid.SampledFrom(names).Draw(t, "family")])
			same := func() {
				synctest.Wait() // a timer of theirs may be due
				if diff := cmp.Diff(written(t, theirs), written(t, ours), protocmp.Transform()); diff != "" {
					t.Fatalf("(-client_golang +ours):\n%s", diff)
				}
			}
			same()
			powers := rapid.SampledFrom([]float64{0.5, 3, 40, 300}).Draw(t, "powers of two")
			value := rapid.Custom(func(t *rapid.T) float64 {
				switch rapid.IntRange(0, 20).Draw(t, "kind") {
				case 0:
					return 0
				case 1:
					return prometheus.DefNativeHistogramZeroThreshold
				case 2:
					return math.Exp2(float64(rapid.IntRange(-20, 20).Draw(t, "exponent"))) // on the border of buckets
				case 3:
					return rapid.SampledFrom(append([]float64{1}, ours.family.Buckets...)).Draw(t, "bound")
				default:
					return math.Exp2(rapid.Float64Range(-powers, powers).Draw(t, "log"))
				}
			})
			for i := range rapid.IntRange(0, 12).Draw(t, "stretches") {
				for j := range rapid.SampledFrom([]int{1, 5, 60, 400}).Draw(t, "values") {
					v := value.Draw(t, "value")
					if v > 0 && rapid.IntRange(0, 3).Draw(t, "exemplar") == 0 {
						id := prometheus.Labels{requestIDExemplar: fmt.Sprintf("request %d of %d", j, i)}
						ours.observeWith(v, id)
						theirs.(prometheus.ExemplarObserver).ObserveWithExemplar(v, id)
					} else {
						ours.observeWith(v, nil)
						theirs.Observe(v)
					}
				}
				same()
				time.Sleep(time.Duration(rapid.SampledFrom([]int{0, 1, 40, 400, 3700}).Draw(t, "seconds")) * time.Second)
				same()
			}
		})
	})
}

// A histogram that gets wide buckets has its narrow ones again an hour after it began, and says that it began anew.
func TestHistogramGetsNarrowAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := histogramPair(newFamilyTable()[NameDuration])
		for i := range 200 {
			v := math.Exp2(float64(i)/4 - 30)
			ours.Observe(v)
			theirs.Observe(v)
		}
		if got := written(t, ours).GetHistogram(); got.GetSchema() != narrowest-1 || got.GetSampleCount() != 200 {
			t.Fatalf("schema %d of %d values; want %d, of 200", got.GetSchema(), got.GetSampleCount(), narrowest-1)
		}
		before := written(t, ours).GetHistogram().GetCreatedTimestamp().AsTime()
		time.Sleep(fineAgain)
		synctest.Wait()
		after := written(t, ours).GetHistogram()
		if after.GetSchema() != narrowest || after.GetSampleCount() != 0 || after.GetCreatedTimestamp().AsTime().Sub(before) != fineAgain {
			t.Errorf("an hour later schema %d, %d values, created %v later; want %d, 0, 1h", after.GetSchema(), after.GetSampleCount(),
				after.GetCreatedTimestamp().AsTime().Sub(before), narrowest)
		}
		if diff := cmp.Diff(written(t, theirs), written(t, ours), protocmp.Transform()); diff != "" {
			t.Errorf("(-client_golang +ours):\n%s", diff)
		}
	})
}

// What is no measurement is not filed: not a number, infinite, below zero.
func TestHistogramTakesNumbersOnly(t *testing.T) {
	ours, _ := histogramPair(newFamilyTable()[NameDuration])
	for _, v := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), -1, -1e-300} {
		ours.Observe(v)
	}
	if got := written(t, ours).GetHistogram(); got.GetSampleCount() != 0 || got.GetSampleSum() != 0 {
		t.Errorf("%d values with a sum of %v; want none", got.GetSampleCount(), got.GetSampleSum())
	}
}

// Whatever is written was counted as a whole: count, buckets of both kinds and the sum are of the same values.
func TestHistogramIsConsistent(t *testing.T) {
	h, _ := histogramPair(newFamilyTable()[NameDuration])
	const each, writers = 500, 4
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for i := range each {
				h.observeWith(1, prometheus.Labels{requestIDExemplar: fmt.Sprint(i)})
			}
		})
	}
	check := func() uint64 {
		d := written(t, h).GetHistogram()
		native, last := int64(0), int64(0)
		for _, delta := range d.GetPositiveDelta() {
			last += delta
			native += last
		}
		n := d.GetSampleCount()
		if b := d.GetBucket(); d.GetSampleSum() != float64(n) || uint64(native) != n || b[len(b)-1].GetCumulativeCount() != n {
			t.Fatalf("%d values: sum %v, %d native, %d up to the last bound", n, d.GetSampleSum(), native, b[len(b)-1].GetCumulativeCount())
		}
		return n
	}
	for check() < each {
	}
	wg.Wait()
	if n := check(); n != each*writers {
		t.Errorf("%d values; want %d", n, each*writers)
	}
}

// A page that was gathered does not change while it is sent, and what histograms share is not changed by what they count.
func TestHistogramIsACopy(t *testing.T) {
	table := newFamilyTable()
	a, _ := histogramPair(table[NameDuration])
	b, _ := histogramPair(table[NameDuration])
	empty := proto.Clone(written(t, b))
	first := written(t, a)
	a.observeWith(1, prometheus.Labels{requestIDExemplar: "x"})
	second := written(t, a)
	kept := proto.Clone(second)
	a.observeWith(1, prometheus.Labels{requestIDExemplar: "y"})
	a.observeWith(100, nil)
	if diff := cmp.Diff(kept, proto.Message(second), protocmp.Transform()); diff != "" {
		t.Errorf("a page changed (-as gathered +later):\n%s", diff)
	}
	if first.GetHistogram().GetSampleCount() != 0 || !proto.Equal(empty, written(t, b)) {
		t.Error("an empty histogram changed with another one")
	}
}
