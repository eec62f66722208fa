package schedule

import "container/heap"

// A queue holds tasks, the one due next in front.
type queue struct{ h taskHeap }

// front returns the task due next, or nil.
func (q *queue) front() *task {
	if len(q.h) == 0 {
		return nil
	}
	return q.h[0]
}

func (q *queue) push(t *task)   { heap.Push(&q.h, t) }
func (q *queue) remove(t *task) { heap.Remove(&q.h, t.index) }

// moved puts a task whose due time has changed in its place.
func (q *queue) moved(t *task) { heap.Fix(&q.h, t.index) }

type taskHeap []*task

func (h taskHeap) Len() int           { return len(h) }
func (h taskHeap) Less(i, j int) bool { return h[i].due.Before(h[j].due) }

func (h taskHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *taskHeap) Push(x any) {
	t := x.(*task)
	t.index = len(*h)
	*h = append(*h, t)
}

func (h *taskHeap) Pop() any {
	old := *h
	t := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	t.index = -1
	return t
}
