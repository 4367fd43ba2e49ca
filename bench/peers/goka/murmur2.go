package main

import (
	"encoding/binary"
	"hash"
)

// murmur2 is the hash that Kafka's own partitioner uses, made positive as it does it. Goka's default is FNV-1a, and then
// a key's row would be in another partition than its events.
type murmur2 struct {
	key []byte
}

func newMurmur2() hash.Hash32 { return &murmur2{} }

func (m *murmur2) Write(bytes []byte) (int, error) {
	m.key = append(m.key, bytes...)
	return len(bytes), nil
}

func (m *murmur2) Reset()         { m.key = m.key[:0] }
func (m *murmur2) Size() int      { return 4 }
func (m *murmur2) BlockSize() int { return 4 }

func (m *murmur2) Sum(bytes []byte) []byte {
	return binary.BigEndian.AppendUint32(bytes, m.Sum32())
}

func (m *murmur2) Sum32() uint32 {
	const (
		seed  = 0x9747b28c
		mixer = 0x5bd1e995
	)
	sum := seed ^ uint32(len(m.key))
	rest := m.key
	for ; len(rest) >= 4; rest = rest[4:] {
		word := binary.LittleEndian.Uint32(rest) * mixer
		word ^= word >> 24
		sum = sum*mixer ^ word*mixer
	}
	if len(rest) > 0 {
		for place, b := range rest {
			sum ^= uint32(b) << (8 * place)
		}
		sum *= mixer
	}
	sum ^= sum >> 13
	sum *= mixer
	sum ^= sum >> 15
	return sum & 0x7fffffff
}
