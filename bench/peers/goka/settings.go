package main

import (
	"path/filepath"

	"github.com/IBM/sarama"
	"github.com/lovoo/goka"
	"github.com/lovoo/goka/storage"
)

// configure says to Goka what the command line means; all else is as it is by default.
func configure(args *arguments) {
	config := goka.DefaultConfig()
	config.Version = sarama.V2_4_0_0 // the first in which a topic can be made with the broker's own replication
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	config.Consumer.Offsets.AutoCommit.Interval = args.commit
	config.Consumer.Group.Session.Timeout = args.session
	config.Consumer.Group.Heartbeat.Interval = args.session / 3
	config.Producer.RequiredAcks = sarama.WaitForAll
	goka.ReplaceGlobalConfig(config)
}

// topicManager makes the group's table and loop with as many replicas as the broker has by default.
func topicManager() goka.TopicManagerBuilder {
	config := goka.NewTopicManagerConfig()
	config.Table.Replication = -1
	config.Stream.Replication = -1
	return goka.TopicManagerBuilderWithTopicManagerConfig(config)
}

// store is where the rows are, in memory or in LevelDB; `owner` is whose they are, the processor's or the view's.
func store(args *arguments, owner string) storage.Builder {
	if args.onDisk {
		return storage.DefaultBuilder(filepath.Join(args.dir, owner))
	}
	return storage.MemoryBuilder()
}
