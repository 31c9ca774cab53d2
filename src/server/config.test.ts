import assert from 'node:assert/strict';
import { test } from 'node:test';
import { dayMs, gib, hourMs, yearMs } from '../base/index.ts';
import { formatHostPort, parseConfig } from './config.ts';
import { environmentName } from './options.ts';

test('defaults: port 9080 on every interface, ten years, advertised under the host name', () => {
  const config = parseConfig({}, 'box');
  assert.deepEqual(config, {
    dataDirectory: 'data',
    httpBind: { host: '', port: 9080 },
    httpAdvertise: { host: 'box', port: 9080 },
    logLevel: 'info',
    retention: { timeMs: 10 * yearMs, sizeBytes: undefined },
    given: {},
  });
});

test('retention is a time, a size, or both', () => {
  const retention = (text: string) => parseConfig({ retention: text }, 'box').retention;
  assert.deepEqual(retention('1d12h'), { timeMs: dayMs + 12 * hourMs, sizeBytes: undefined });
  assert.deepEqual(retention('500GB'), { timeMs: 10 * yearMs, sizeBytes: 500 * gib });
  assert.deepEqual(retention('2y, 3TiB'), { timeMs: 2 * yearMs, sizeBytes: 3072 * gib });
});

test('what an option refuses is named with the option, its text and the remedy', () => {
  const refused: [string, string, RegExp][] = [
    ['retention', '10', /OPTION_INVALID: --retention "10": expected a time such as 10y/],
    ['retention', '1y,2y', /expected a time/],
    ['retention', '1h', /at least 2h/],
    ['retention', '1MB', /at least 1GB/],
    ['http-bind-addr', '9080', /expected HOST:PORT/],
    ['http-bind-addr', 'a:70000', /expected HOST:PORT/],
    ['gossip-bind-addr', 'x', /expected HOST:PORT/],
    ['log-level', 'loud', /expected debug, info, warn or error/],
    ['peers', 'a:1', /single nodes only/],
    ['data-directory', '', /a directory is needed/],
  ];
  for (const [name, text, message] of refused) {
    assert.throws(() => parseConfig({ [name]: text }, 'box'), message, `${name}=${text}`);
  }
});

test('addresses keep IPv6 hosts apart from their port', () => {
  const config = parseConfig({ 'http-bind-addr': '[::1]:0' }, 'box');
  assert.deepEqual(config.httpAdvertise, { host: '::1', port: 0 });
  assert.equal(formatHostPort(config.httpBind), '[::1]:0');
});

test('environment variables carry the names of options', () => {
  assert.equal(environmentName('http-bind-addr'), 'TIMBALA_HTTP_BIND_ADDR');
});
