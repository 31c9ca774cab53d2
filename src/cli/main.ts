// The `timbala` program: options to a running node, and signals to its orderly end; or a question to one that runs. Exit
// status 0 after SIGTERM or SIGINT, 1 when the node could not start or go on, 2 for options that can't be understood.
import { errorMessage } from '../base/index.ts';
import { SocketHttp } from '../node/http/index.ts';
import {
  hostName,
  loadKernels,
  memoryBytes,
  NodeDisk,
  NodeNetwork,
  onReloadSignal,
  onTerminationSignal,
  onUncaughtError,
  ownAddresses,
  packageVersion,
  PinoLog,
  processorsCount,
  processUsage,
  readGossipKeys,
  readStreamSecurity,
  SystemClock,
  SystemRandom,
  ThreadWorkers,
} from '../node/index.ts';
import { type NodeConfig, parseConfig, type StartedNode, startNode } from '../server/index.ts';
import { type Command, helpText, parseArguments } from './arguments.ts';
import { runClusterCommand } from './cluster.ts';

const packageFile = new URL('../../package.json', import.meta.url);
const kernelDirectory = new URL('../../build/kernels/', import.meta.url);
const workerEntry = new URL('worker.ts', import.meta.url);

// Bounds of the JavaScript heaps of workers, MiB. What they work on lies in array buffers and kernel memory, outside.
const workerHeaps = {
  lane: { maxOldGenerationSizeMb: 512, maxYoungGenerationSizeMb: 6 },
  compactor: { maxOldGenerationSizeMb: 1024, maxYoungGenerationSizeMb: 6 },
  replica: { maxOldGenerationSizeMb: 1024, maxYoungGenerationSizeMb: 16 },
  gossip: { maxOldGenerationSizeMb: 256, maxYoungGenerationSizeMb: 4 },
  query: { maxOldGenerationSizeMb: 2048, maxYoungGenerationSizeMb: 24 },
};

function print(text: string): void {
  process.stdout.write(text);
}

/** Says on stderr what is wrong and ends the process. */
function fail(error: unknown, status: number): never {
  process.stderr.write(`${errorMessage(error)}\n`);
  process.exit(status);
}

function readCommand(): { command: Command; config: NodeConfig | undefined } {
  try {
    const command = parseArguments(process.argv.slice(2), process.env);
    return {
      command,
      config: command.kind === 'serve' ? parseConfig(command.given, hostName(), ownAddresses()) : undefined,
    };
  } catch (error) {
    fail(error, 2);
  }
}

async function start(config: NodeConfig, log: PinoLog): Promise<StartedNode> {
  const { gossipKeyFile, peerTls } = config.cluster ?? {};
  const network = peerTls ? await NodeNetwork.secured(readStreamSecurity(peerTls)) : new NodeNetwork();
  const modules = await loadKernels(kernelDirectory, ['wire', 'head', 'pages']);
  const ports = {
    clock: new SystemClock(),
    log,
    http: new SocketHttp(log),
    workers: new ThreadWorkers(workerEntry, workerHeaps),
    network,
    gossipKeys: () => (gossipKeyFile === undefined ? [] : readGossipKeys(gossipKeyFile)),
    random: new SystemRandom(),
    disk: new NodeDisk(config.dataDirectory),
    usage: processUsage,
  };
  return startNode(config, modules, ports, {
    version: packageVersion(packageFile),
    runtimeVersion: process.version,
    hostName: hostName(),
    workingDirectory: process.cwd(),
    processorsCount: processorsCount(),
    memoryBytes: memoryBytes(),
  });
}

async function serve(config: NodeConfig, doubtfulVariables: readonly string[]): Promise<void> {
  const log = PinoLog.open(config.logLevel);
  for (const variable of doubtfulVariables) log.warn('variable-unknown', { variable });
  let node: StartedNode;
  try {
    node = await start(config, log);
  } catch (error) {
    log.error('node-not-started', { error });
    fail(error, 1);
  }
  const endFailed = (error: unknown): never => {
    log.error('node-failed', { error });
    process.exit(1);
  };
  onUncaughtError(endFailed);
  node.failed.catch(endFailed);
  if (config.cluster?.gossipKeyFile !== undefined) {
    onReloadSignal(() => {
      node.reloadKeys().catch((error: unknown) => log.error('gossip-keys-not-read', { error }));
    });
  }
  onTerminationSignal((signal) => {
    log.info('node-stopping', { signal });
    node.close().then(
      () => {
        log.info('node-stopped');
        process.exit(0);
      },
      (error: unknown) => {
        log.error('node-stop-failed', { error });
        process.exit(1);
      },
    );
  });
}

const { command, config } = readCommand();
if (command.kind === 'help') print(helpText());
else if (command.kind === 'version') print(`timbala ${packageVersion(packageFile)}\n`);
else if (command.kind === 'cluster') {
  try {
    print(await runClusterCommand(command));
  } catch (error) {
    fail(error, 1);
  }
} else if (config) await serve(config, command.doubtfulVariables);
