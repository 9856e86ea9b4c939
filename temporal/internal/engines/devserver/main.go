// Command devserver is a Temporal server in one process, with SQLite, for tests
// and for trying things out. It takes those flags of the temporal command's
//
//	server start-dev
//
// that package testsuite of Temporal's SDK uses, so that StartDevServer starts it
// by ExistingPath. It has no user interface.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"go.temporal.io/server/common/cluster"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/dynamicconfig"
	"go.temporal.io/server/common/log"
	"go.temporal.io/server/common/metrics"
	"go.temporal.io/server/common/persistence/sql/sqlplugin/sqlite"
	"go.temporal.io/server/common/testing/freeport"
	schema "go.temporal.io/server/schema/sqlite"
	"go.temporal.io/server/temporal"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "devserver:", err)
		os.Exit(1)
	}
}

// options are what the command line says.
type options struct {
	ip, namespace, file, logLevel string
	port                          int
	dynamic                       dynamicconfig.StaticClient
}

func run(args []string) error {
	if len(args) < 2 || args[0] != "server" || args[1] != "start-dev" {
		return errors.New("usage: devserver server start-dev [flags]")
	}
	opts, err := parse(args[2:])
	if err != nil {
		return err
	}
	server, err := newServer(opts)
	if err != nil {
		return err
	}
	return server.Start() // until it is interrupted
}

func parse(args []string) (*options, error) {
	opts := &options{dynamic: dynamicconfig.StaticClient{}}
	flags := flag.NewFlagSet("devserver server start-dev", flag.ContinueOnError)
	flags.StringVar(&opts.ip, "ip", "127.0.0.1", "`address` to listen on")
	flags.IntVar(&opts.port, "port", 7233, "port to listen on")
	flags.StringVar(&opts.namespace, "namespace", "default", "namespace to make")
	flags.StringVar(&opts.file, "db-filename", "", "SQLite `file` to keep everything in; none: memory")
	flags.StringVar(&opts.logLevel, "log-level", "error", "debug, info, warn, error or never")
	flags.Bool("headless", true, "taken and ignored: there is no user interface")
	flags.Func("dynamic-config-value", "`key=JSON` of the server's dynamic configuration; repeatable", opts.addDynamic)
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	if flags.NArg() > 0 {
		return nil, fmt.Errorf("what is %q?", flags.Args())
	}
	return opts, nil
}

func (o *options) addDynamic(text string) error {
	key, value, ok := strings.Cut(text, "=")
	if !ok {
		return fmt.Errorf("%q is not key=JSON", text)
	}
	var v any
	if err := json.Unmarshal([]byte(value), &v); err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	if f, ok := v.(float64); ok && f == float64(int(f)) {
		v = int(f)
	}
	o.dynamic[dynamicconfig.MakeKey(key)] = v
	return nil
}

// newServer returns a server of all of Temporal's services.
func newServer(o *options) (temporal.Server, error) {
	db := o.database()
	if o.file != "" {
		if err := prepare(o.file, db); err != nil {
			return nil, err
		}
	}
	const name = "active"
	namespace, err := schema.NewNamespaceConfig(name, o.namespace, false, nil)
	if err != nil {
		return nil, err
	}
	if err := schema.CreateNamespaces(db, namespace); err != nil {
		return nil, fmt.Errorf("making namespace %s: %w", o.namespace, err)
	}
	frontend := fmt.Sprintf("%s:%d", o.ip, o.port)
	conf := &config.Config{
		Global: config.Global{
			Membership: config.Membership{MaxJoinDuration: 30 * time.Second, BroadcastAddress: "127.0.0.1"},
			Metrics: &metrics.Config{Prometheus: &metrics.PrometheusConfig{
				ListenAddress: fmt.Sprintf("127.0.0.1:%d", freeport.MustGetFreePort()), HandlerPath: "/metrics",
			}},
		},
		Persistence: config.Persistence{
			DefaultStore: sqlite.PluginName, VisibilityStore: sqlite.PluginName, NumHistoryShards: 1,
			DataStores: map[string]config.DataStore{sqlite.PluginName: {SQL: db}},
		},
		ClusterMetadata: &cluster.Config{
			FailoverVersionIncrement: 10, MasterClusterName: name, CurrentClusterName: name,
			ClusterInformation: map[string]cluster.ClusterInformation{
				name: {Enabled: true, InitialFailoverVersion: 1, RPCAddress: frontend},
			},
		},
		DCRedirectionPolicy: config.DCRedirectionPolicy{Policy: "noop"},
		Services: map[string]config.Service{
			"frontend": {RPC: config.RPC{GRPCPort: o.port, MembershipPort: o.near(1), BindOnIP: o.ip}},
			"history":  o.inside(2), "matching": o.inside(4), "worker": o.inside(6),
		},
		Archival: config.Archival{
			History: config.HistoryArchival{State: "disabled"}, Visibility: config.VisibilityArchival{State: "disabled"},
		},
		NamespaceDefaults: config.NamespaceDefaults{Archival: config.ArchivalNamespaceDefaults{
			History:    config.HistoryArchivalNamespaceDefaults{State: "disabled"},
			Visibility: config.VisibilityArchivalNamespaceDefaults{State: "disabled"},
		}},
		PublicClient: config.PublicClient{HostPort: frontend},
	}
	return temporal.NewServer(
		temporal.WithConfig(conf),
		temporal.ForServices(temporal.DefaultServices),
		temporal.WithLogger(log.NewZapLogger(log.BuildZapLogger(log.Config{Stdout: true, Level: o.logLevel}))),
		temporal.WithDynamicConfigClient(o.dynamic),
		temporal.InterruptOn(temporal.InterruptCh()),
	)
}

// inside is a service that only the others talk to.
func (o *options) inside(n int) config.Service {
	return config.Service{RPC: config.RPC{GRPCPort: o.near(n), MembershipPort: o.near(n + 1), BindOnLocalHost: true}}
}

// near returns the n-th port after the frontend's if it is free. A server that
// is started again after it was killed so has the addresses that it had: others
// would ask the dead one until they give it up.
func (o *options) near(n int) int {
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", o.port+n))
	if err != nil {
		return freeport.MustGetFreePort()
	}
	_ = l.Close()
	return o.port + n
}

func (o *options) database() *config.SQL {
	db := &config.SQL{PluginName: sqlite.PluginName, ConnectAttributes: map[string]string{}}
	if o.file == "" {
		db.DatabaseName = fmt.Sprintf("devserver-%d", os.Getpid())
		db.ConnectAttributes["mode"], db.ConnectAttributes["cache"] = "memory", "shared"
	} else {
		db.DatabaseName = o.file
		db.ConnectAttributes["mode"] = "rwc"
	}
	return db
}

// prepare makes the tables in a new file.
func prepare(file string, db *config.SQL) error {
	if _, err := os.Stat(file); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := schema.SetupSchema(db); err != nil {
		return fmt.Errorf("making tables: %w", err)
	}
	return nil
}
