// MetricMetadata messages of remote write 1.0 (prometheus/prompb/types.proto), read where the wire kernel found them.
// They are few (one per metric family and minute), so JavaScript reads them.
import { ProtobufReader, wireType } from './wire-protobuf.ts';

export interface MetricMetadata {
  readonly metric: string;
  /** As the API shows it, one of `metadataTypes`. */
  readonly type: string;
  readonly help: string;
  readonly unit: string;
}

/** The names of prometheus.MetricMetadata.MetricType, by value. */
export const metadataTypes: readonly string[] = [
  'unknown',
  'counter',
  'gauge',
  'histogram',
  'gaugehistogram',
  'summary',
  'info',
  'stateset',
];

const field = { type: 1, metric: 2, help: 4, unit: 5 } as const;

/** Undefined where the message is malformed or names no metric: metadata is advice, a request never fails for it. */
export function parseMetadata(message: Uint8Array): MetricMetadata | undefined {
  const reader = new ProtobufReader(message);
  let [metric, type, help, unit] = ['', 'unknown', '', ''];
  while (reader.next()) {
    if (reader.wireType === wireType.varint && reader.field === field.type)
      type = metadataTypes[reader.integer] ?? 'unknown';
    if (reader.wireType !== wireType.bytes) continue;
    if (reader.field === field.metric) metric = reader.text();
    else if (reader.field === field.help) help = reader.text();
    else if (reader.field === field.unit) unit = reader.text();
  }
  return reader.failed || metric === '' ? undefined : { metric, type, help, unit };
}
