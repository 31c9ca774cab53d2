// Names a series of a raw TimeSeries message in an error text. The message may be anything: whatever can be read of its
// labels is shown, cut to a length that fits a log line.
import { ProtobufReader, wireType } from './wire-protobuf.ts';

const labelsShownMax = 32;
const textBytesShownMax = 256;
const fieldLabels = 1;
const fieldName = 1;
const fieldValue = 2;
const metricNameLabel = '__name__';

/** `metric{label="value", …}` as Prometheus prints it. */
export function formatRawSeries(message: Uint8Array): string {
  const reader = new ProtobufReader(message);
  let metric = '';
  const shown: string[] = [];
  let labelsCount = 0;
  while (reader.next()) {
    if (reader.field !== fieldLabels || reader.wireType !== wireType.bytes) continue;
    const [name, value] = readLabel(reader.bytes());
    if (name === metricNameLabel && metric === '') {
      metric = value;
    } else if (labelsCount++ < labelsShownMax) {
      shown.push(`${/^[a-zA-Z_]\w*$/.test(name) ? name : JSON.stringify(name)}=${JSON.stringify(value)}`);
    }
  }
  if (labelsCount > labelsShownMax) shown.push('…');
  if (/^[a-zA-Z_:][\w:]*$/.test(metric)) return shown.length > 0 ? `${metric}{${shown.join(', ')}}` : metric;
  if (metric !== '') shown.unshift(JSON.stringify(metric));
  return `{${shown.join(', ')}}`;
}

function readLabel(message: Uint8Array): [name: string, value: string] {
  const reader = new ProtobufReader(message);
  let [name, value] = ['', ''];
  while (reader.next()) {
    if (reader.wireType !== wireType.bytes) continue;
    if (reader.field === fieldName) name = shorten(reader.text());
    else if (reader.field === fieldValue) value = shorten(reader.text());
  }
  return [name, value];
}

function shorten(text: string): string {
  return text.length > textBytesShownMax ? `${text.slice(0, textBytesShownMax)}…` : text;
}
