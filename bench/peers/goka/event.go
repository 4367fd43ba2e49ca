package main

import (
	"encoding/json"
	"fmt"
)

// event is a visit of a page, as it is in Kafka: JSON.
type event struct {
	Page  string `json:"page"`
	User  string `json:"user"`
	At    int64  `json:"at"`
	Agent string `json:"agent"`
}

// eventCodec is how Goka reads and writes events.
type eventCodec struct{}

func (eventCodec) Encode(value any) ([]byte, error) {
	if _, ok := value.(*event); !ok {
		return nil, fmt.Errorf("no event: %T", value)
	}
	return json.Marshal(value)
}

func (eventCodec) Decode(data []byte) (any, error) {
	var decoded event
	if err := json.Unmarshal(data, &decoded); err != nil {
		return nil, err
	}
	return &decoded, nil
}
