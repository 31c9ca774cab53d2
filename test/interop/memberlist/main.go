// A node of the real memberlist, for the interoperability test: it prints what it sees as JSON lines and takes commands
// (members, update TEXT, leave) from standard input. It ends with its input.
package main

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
)

type line struct {
	Event   string            `json:"event"`
	Node    string            `json:"node,omitempty"`
	Port    uint16            `json:"port,omitempty"`
	Meta    string            `json:"meta,omitempty"`
	Members map[string]string `json:"members,omitempty"`
	Names   []string          `json:"names,omitempty"`
	Error   string            `json:"error,omitempty"`
}

var printing sync.Mutex

func report(l line) {
	printing.Lock()
	defer printing.Unlock()
	text, err := json.Marshal(l)
	if err != nil {
		panic(err)
	}
	fmt.Println(string(text))
}

// node is memberlist's view of the application: metadata, and who comes and goes.
type node struct {
	mu   sync.Mutex
	meta string
}

func (n *node) NodeMeta(limit int) []byte {
	n.mu.Lock()
	defer n.mu.Unlock()
	return []byte(n.meta)
}

func (n *node) NotifyMsg([]byte)                           {}
func (n *node) GetBroadcasts(overhead, limit int) [][]byte { return nil }
func (n *node) LocalState(join bool) []byte                { return []byte("state of the application") }
func (n *node) MergeRemoteState(buf []byte, join bool)     {}

func (n *node) NotifyJoin(m *memberlist.Node) {
	report(line{Event: "join", Node: m.Name, Port: m.Port, Meta: string(m.Meta)})
}

func (n *node) NotifyLeave(m *memberlist.Node) {
	report(line{Event: "gone", Node: m.Name})
}

func (n *node) NotifyUpdate(m *memberlist.Node) {
	report(line{Event: "update", Node: m.Name, Meta: string(m.Meta)})
}

func main() {
	name := flag.String("name", "", "name of the node")
	join := flag.String("join", "", "host:port of a member")
	key := flag.String("key", "", "hexadecimal key; plain where empty")
	meta := flag.String("meta", "", "metadata")
	bind := flag.String("bind", "127.0.0.1", "address to bind to")
	port := flag.Int("port", 0, "port to bind to; 0 for any")
	protocol := flag.Uint("protocol", 2, "protocol version; 1 encrypts with padding")
	compress := flag.Bool("compress", true, "compress messages")
	flag.Parse()

	self := &node{meta: *meta}
	config := memberlist.DefaultLANConfig()
	config.Name = *name
	config.BindAddr = *bind
	config.BindPort = *port
	config.AdvertisePort = *port
	config.ProtocolVersion = uint8(*protocol)
	config.EnableCompression = *compress
	config.Delegate = self
	config.Events = self
	config.LogOutput = io.Discard
	if os.Getenv("MEMBERLIST_LOG") != "" {
		config.LogOutput = os.Stderr
	}
	// Faster than the defaults, so that a test need not wait; the other side is set the same.
	config.ProbeInterval = 200 * time.Millisecond
	config.ProbeTimeout = 100 * time.Millisecond
	config.GossipInterval = 50 * time.Millisecond
	config.PushPullInterval = time.Second
	if *key != "" {
		bytes, err := hex.DecodeString(*key)
		if err != nil {
			panic(err)
		}
		config.SecretKey = bytes
	}
	list, err := memberlist.Create(config)
	if err != nil {
		panic(err)
	}
	report(line{Event: "ready", Node: *name, Port: list.LocalNode().Port})
	if *join != "" {
		if _, err := list.Join([]string{*join}); err != nil {
			report(line{Event: "join-failed", Error: err.Error()})
		} else {
			report(line{Event: "joined"})
		}
	}
	commands := bufio.NewScanner(os.Stdin)
	for commands.Scan() {
		command, argument, _ := strings.Cut(commands.Text(), " ")
		switch command {
		case "members":
			answer := line{Event: "members", Members: map[string]string{}}
			for _, m := range list.Members() {
				answer.Members[m.Name] = string(m.Meta)
				answer.Names = append(answer.Names, m.Name)
			}
			sort.Strings(answer.Names)
			report(answer)
		case "update":
			self.mu.Lock()
			self.meta = argument
			self.mu.Unlock()
			if err := list.UpdateNode(5 * time.Second); err != nil {
				report(line{Event: "update-failed", Error: err.Error()})
			}
		case "leave":
			if err := list.Leave(5 * time.Second); err != nil {
				report(line{Event: "leave-failed", Error: err.Error()})
			}
			report(line{Event: "leave-done"})
		}
	}
}
