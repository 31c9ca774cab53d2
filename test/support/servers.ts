// The three servers that tests and benchmarks start: this repository's node, Prometheus and VictoriaMetrics, each with
// the flags that make them comparable (long retention, remote write accepted, listening on loopback only).
import { spawnSync } from 'node:child_process';
import { accessSync, constants, mkdirSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePort, type LaunchOptions, ServerProcess } from './processes.ts';

export const repositoryRoot = fileURLToPath(new URL('../..', import.meta.url));

/** A program by path, or by name on PATH; undefined where it is missing. */
export function findProgram(nameOrPath: string): string | undefined {
  const candidates = nameOrPath.includes('/')
    ? [nameOrPath]
    : (process.env['PATH'] ?? '').split(delimiter).map((directory) => join(directory, nameOrPath));
  return candidates.find((file) => {
    try {
      accessSync(file, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

export interface ServerOptions {
  /** The server's data lives in `<directory>/data`, its log in `<directory>/log`. Created where missing. */
  readonly directory: string;
  readonly port?: number;
  readonly extraArguments?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
}

async function launchOptions(
  options: ServerOptions,
  describe: (address: string, dataDirectory: string) => Omit<LaunchOptions, 'url' | 'logFile'>,
): Promise<LaunchOptions> {
  mkdirSync(options.directory, { recursive: true });
  const address = `127.0.0.1:${options.port ?? (await freePort())}`;
  const described = describe(address, join(options.directory, 'data'));
  return {
    ...described,
    commandArguments: [...described.commandArguments, ...(options.extraArguments ?? [])],
    url: `http://${address}`,
    logFile: join(options.directory, 'log'),
    ...(options.environment ? { environment: options.environment } : {}),
  };
}

export function timbalaLaunch(options: ServerOptions): Promise<LaunchOptions> {
  return launchOptions(options, (address, dataDirectory) => ({
    name: 'timbala',
    command: process.execPath,
    commandArguments: [
      join(repositoryRoot, 'scripts', 'timbala.mjs'),
      '--data-directory',
      dataDirectory,
      '--http-bind-addr',
      address,
      '--retention',
      '100y',
    ],
    readyPath: '/-/ready',
  }));
}

/** Starts a node from this checkout and waits until it answers queries. */
export async function startTimbala(options: ServerOptions): Promise<ServerProcess> {
  return await ServerProcess.start(await timbalaLaunch(options));
}

export interface PrometheusOptions extends ServerOptions {
  readonly binary: string;
  /** prometheus.yml; by default nothing is scraped. */
  readonly config?: string;
}

export function prometheusLaunch(options: PrometheusOptions): Promise<LaunchOptions> {
  mkdirSync(options.directory, { recursive: true });
  const configFile = join(options.directory, 'prometheus.yml');
  writeFileSync(configFile, options.config ?? 'global: {}\n');
  return launchOptions(options, (address, dataDirectory) => ({
    name: 'prometheus',
    command: options.binary,
    commandArguments: [
      `--config.file=${configFile}`,
      `--storage.tsdb.path=${dataDirectory}`,
      '--storage.tsdb.retention.time=100y',
      `--web.listen-address=${address}`,
      '--web.enable-remote-write-receiver',
      '--web.enable-admin-api',
    ],
    readyPath: '/-/ready',
  }));
}

export async function startPrometheus(options: PrometheusOptions): Promise<ServerProcess> {
  return await ServerProcess.start(await prometheusLaunch(options));
}

export function victoriaMetricsLaunch(options: ServerOptions & { readonly binary: string }): Promise<LaunchOptions> {
  return launchOptions(options, (address, dataDirectory) => ({
    name: 'victoriametrics',
    command: options.binary,
    commandArguments: [
      `-storageDataPath=${dataDirectory}`,
      `-httpListenAddr=${address}`,
      '-retentionPeriod=100y',
      '-search.disableCache',
      // The newest 30 s are hidden by default, which would be another answer, not another speed.
      '-search.latencyOffset=0s',
    ],
    readyPath: '/health',
  }));
}

export interface PrometheusBinary {
  readonly path: string;
  readonly version: string;
  readonly major: number;
}

function prometheusAt(path: string): PrometheusBinary | undefined {
  const run = (flag: string): string => {
    const { stdout, stderr } = spawnSync(path, [flag], { encoding: 'utf8' });
    return `${stdout}${stderr}`;
  };
  const match = /^prometheus, version (\d*)(\S*)/m.exec(run('--version'));
  if (!match) return undefined;
  if (match[1]) return { path, version: `${match[1]}${match[2]}`, major: Number(match[1]) };
  // Built by `go install`, it knows no version: tell it by a flag that version 3 brought.
  const major = run('--help').includes('--[no-]web.enable-otlp-receiver') ? 3 : 2;
  return { path, version: `${major}, built from source`, major };
}

/**
 * A Prometheus of at least the given major version: the one that TIMBALA_TEST_PROMETHEUS names, one on PATH, or Debian's.
 * Undefined where there is none, unless TIMBALA_TEST_REQUIRE_PROMETHEUS=1 makes that an error (for a version that no
 * distribution carries yet, pass `required: false`).
 */
export function findPrometheus(majorMin: number, required = true): PrometheusBinary | undefined {
  const named = process.env['TIMBALA_TEST_PROMETHEUS'];
  for (const candidate of named ? [named] : ['prometheus', '/usr/bin/prometheus']) {
    const path = findProgram(candidate);
    const binary = path ? prometheusAt(path) : undefined;
    if (binary && binary.major >= majorMin) return binary;
  }
  if (required && process.env['TIMBALA_TEST_REQUIRE_PROMETHEUS'] === '1') {
    throw new Error(
      `PROMETHEUS_MISSING: no Prometheus of version ${majorMin} or newer on PATH or in TIMBALA_TEST_PROMETHEUS, ` +
        'and TIMBALA_TEST_REQUIRE_PROMETHEUS=1 demands one; install the package `prometheus`',
    );
  }
  return undefined;
}
