package queuewait

import (
	"math"
	"slices"
)

// blockSize is how many probes are judged together.
const blockSize = 16

// enough is how many probes a level is taken from at least.
const enough = blockSize / 2

// width is how far apart unloaded requests of one length may be, in seconds: the steps of an engine, and a computer's own
// unrest. It does not grow for ever, or a long queue would look even.
func width(level float64) float64 { return min(max(2e-3, 0.03*level), 20e-3) }

// level is where the lower edge of a block of probes lies.
type level struct {
	at     float64 // seconds
	spread float64 // of the probes that it was taken from: what it may be off by
	middle float64 // seconds: the median of all
	calm   bool    // half of the probes or more agree on it
}

// levelOf finds the level of a block of times in seconds, which it sorts.
//
// Without load, times agree: the middle of those that do is the level, so that noise to either side cancels out. Under
// load they do not, but are strewn upwards from an edge that the luckiest come near: the second lowest then is the level.
//
//	calm                                  under load
//	     :                                :
//	    ::::   .      .                   :  .
//	   ::::::  . .   .   .                :: . .: . .   .  .     .
//	-----|---------------------->       --|---------------------------->
//	   level                             level
//
// Times below a gap, under others that agree, belong to something else: a prefix cache that answers without saying so
// makes some requests quicker, and does not make the others wait. They are left out.
func levelOf(times []float64) level {
	slices.Sort(times)
	l := levelOfOne(times[beyondGap(times):])
	l.middle = times[len(times)/2]
	return l
}

// beyondGap is the first of sorted times beyond their widest gap, where those beyond are many and agree: a quarter of all or
// more, half of them within the width, and most of them closer together than the gap is wide. It is 0 else.
func beyondGap(times []float64) int {
	from, gap := 0, 0.0
	for i := 1; i < len(times); i++ {
		if d := times[i] - times[i-1]; d > gap {
			from, gap = i, d
		}
	}
	beyond := times[from:]
	n := len(beyond)
	if from == 0 || gap <= 2*width(beyond[0]) || n < (len(times)+3)/4 {
		return 0
	}
	first, last := closest(beyond)
	if beyond[last]-beyond[first] > width(beyond[0]) || beyond[(3*n-1)/4]-beyond[0] > gap/4 {
		return 0
	}
	return from
}

// closest is the half of sorted times that lies closest together: the first and the last of it.
func closest(times []float64) (first, last int) {
	half := (len(times) + 1) / 2
	for i := 1; i+half <= len(times); i++ {
		if times[i+half-1]-times[i] < times[first+half-1]-times[first] {
			first = i
		}
	}
	return first, first + half - 1
}

// levelOfOne is the level of sorted times that are of one kind.
func levelOfOne(times []float64) level {
	n := len(times)
	first, last := closest(times)
	if w := width(times[first]); times[last]-times[first] <= w && times[last]-times[0] <= 2*w {
		return level{at: times[(first+last)/2], spread: times[last] - times[first], calm: true}
	}
	return level{at: times[min(1, n-1)], spread: times[n/3] - times[0]}
}

// Length buckets are half an octave wide, and the first holds all that is short.
const (
	shortest = 32 // tokens: below it, prompts are alike
	buckets  = 1 + 2*20
)

// bucketOf is the bucket of prompts of that many uncached tokens.
func bucketOf(tokens int) int {
	if tokens < shortest {
		return 0
	}
	return min(1+int(2*math.Log2(float64(tokens)/shortest)), buckets-1)
}
