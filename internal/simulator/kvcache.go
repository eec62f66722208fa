package simulator

// kvCache is the memory of an engine, in blocks of a fixed number of tokens. Sequences hold blocks; with a prefix cache,
// full blocks of prompts are remembered by what they and all before them hold, are shared by the sequences that begin
// alike, and stay known after the last of them has let go, until the room is needed: the longest unused first.
//
//	total = held (each shared block once) + idle + never used
//
// Blocks of generated tokens are not remembered.
type kvCache struct {
	size  int // tokens in a block
	total int // blocks
	held  int // blocks that sequences hold

	known map[uint64]*kvBlock // by the hash of all that a prompt is up to the block's end; nil: no prefix cache
	idle  kvBlock             // ring of known blocks that nobody holds; idle.next is the longest unused
	idles int
}

// kvBlock is a block that is known.
type kvBlock struct {
	hash       uint64
	holders    int
	prev, next *kvBlock // while idle
}

func newKVCache(tokens, size int, prefixes bool) *kvCache {
	c := &kvCache{size: size, total: (tokens + size - 1) / size}
	if prefixes {
		c.known = map[uint64]*kvBlock{}
	}
	c.idle.prev, c.idle.next = &c.idle, &c.idle
	return c
}

// blocks is how many blocks so many tokens take.
func (c *kvCache) blocks(tokens int) int { return (tokens + c.size - 1) / c.size }

// holding is what one sequence holds.
type holding struct {
	own        int        // blocks that are its alone
	shared     []*kvBlock // known blocks
	remembered int        // blocks of its prompt that have been looked at for being remembered
}

// blocks is how many blocks it holds.
func (h *holding) blocks() int { return h.own + len(h.shared) }

// lookup finds the longest known beginning of a prompt, in blocks, and how many of them nobody holds.
func (c *kvCache) lookup(prompt []uint64) (hits, idle int) {
	for _, hash := range prompt {
		b := c.known[hash]
		if b == nil {
			break
		}
		hits++
		if b.holders == 0 {
			idle++
		}
	}
	return hits, idle
}

// share gives a sequence that holds nothing the first n blocks of its prompt, which must be known.
func (c *kvCache) share(h *holding, prompt []uint64, n int) {
	for _, hash := range prompt[:n] {
		b := c.known[hash]
		if b.holders == 0 {
			b.prev.next, b.next.prev = b.next, b.prev
			c.idles--
			c.held++
		}
		b.holders++
		h.shared = append(h.shared, b)
	}
	h.remembered = n
}

// take gives a sequence n more blocks, or reports that they are not there.
func (c *kvCache) take(h *holding, n int) bool {
	if n <= 0 {
		return true
	}
	if c.held+n > c.total {
		return false
	}
	c.held += n
	h.own += n
	for c.held+c.idles > c.total { // forget what has not been used for longest
		b := c.idle.next
		b.prev.next, b.next.prev = b.next, b.prev
		c.idles--
		delete(c.known, b.hash)
	}
	return true
}

// remember makes known those blocks of a prompt that are full once so many of its tokens have been computed.
func (c *kvCache) remember(h *holding, prompt []uint64, computed int) {
	if c.known == nil {
		return
	}
	for full := min(computed/c.size, len(prompt)); h.remembered < full; h.remembered++ {
		hash := prompt[h.remembered]
		if c.known[hash] != nil {
			continue // another sequence computed the same at the same time: each has its own
		}
		b := &kvBlock{hash: hash, holders: 1}
		c.known[hash] = b
		h.shared = append(h.shared, b)
		h.own--
	}
}

// release takes back all that a sequence holds.
func (c *kvCache) release(h *holding) {
	c.held -= h.own
	// The end of a prompt is forgotten before its beginning, which more prompts have.
	for i := len(h.shared) - 1; i >= 0; i-- {
		b := h.shared[i]
		if b.holders--; b.holders == 0 {
			c.held--
			c.idles++
			b.prev, b.next = c.idle.prev, &c.idle
			b.prev.next, b.next.prev = b, b
		}
	}
	*h = holding{}
}

// prefixHashes names each full block of a prompt by all that the prompt is up to the block's end, and by a salt that keeps
// prompts apart which must not share. The last token of a prompt is always computed, so its block is not among them if it
// would be full.
func prefixHashes(ids []int, salt string, size int) []uint64 {
	h := hashID(salt)
	hashes := make([]uint64, 0, max(len(ids)-1, 0)/size)
	for i := range cap(hashes) * size {
		h ^= uint64(ids[i]) + 1
		h *= 0x9e3779b97f4a7c15
		h ^= h >> 32
		if (i+1)%size == 0 {
			hashes = append(hashes, h)
		}
	}
	return hashes
}
