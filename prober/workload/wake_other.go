//go:build !linux

package workload

import (
	"context"
	"time"
)

func sleepUntil(ctx context.Context, t time.Time) error { return SleepUntilTimer(ctx, t) }
