package main

import (
	"context"
	"fmt"
	"time"

	"github.com/IBM/sarama"
)

// waitForTable waits until all partitions of the table's topic answer. Goka goes on as soon as the topic is known, and ends when
// a partition that was just made has no leader yet.
func waitForTable(ctx context.Context, brokers []string, topic string) error {
	manager, err := topicManager()(brokers)
	if err != nil {
		return err
	}
	defer manager.Close()

	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		partitions, err := manager.Partitions(topic)
		for _, partition := range partitions {
			if err == nil {
				_, err = manager.GetOffset(topic, partition, sarama.OffsetOldest)
			}
		}
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the table does not answer: %w", err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}
