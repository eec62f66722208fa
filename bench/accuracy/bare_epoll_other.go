//go:build !linux

package main

import "context"

const hasEpoll = false

func readBareEpoll(context.Context, *reading) error { panic("no epoll here") }
