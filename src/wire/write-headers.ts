// Which write requests are remote write 1.0, by their headers (Prometheus remote write specifications 1.0 and 2.0).

/** Why a request is not accepted, for a 415 answer. */
export interface HeaderRefusal {
  readonly statusCode: 415;
  readonly message: string;
}

const mediaType = 'application/x-protobuf';
const protoVersion1 = 'prometheus.WriteRequest';
const protoVersion2 = 'io.prometheus.write.v2.Request';

/** Undefined where the request may be read. Missing headers mean 1.0: old senders leave them out, and Prometheus takes them. */
export function checkWriteHeaders(
  contentType: string | undefined,
  contentEncoding: string | undefined,
): HeaderRefusal | undefined {
  const encoding = contentEncoding?.trim().toLowerCase() ?? '';
  if (encoding !== '' && encoding !== 'snappy') {
    return refuse(`content encoding ${JSON.stringify(encoding)} is not supported; compress with snappy (block format)`);
  }
  const [type = '', ...parameters] = (contentType ?? '').split(';').map((part) => part.trim());
  if (type !== '' && type.toLowerCase() !== mediaType) {
    return refuse(`content type ${JSON.stringify(type)} is not supported; send ${mediaType}`);
  }
  for (const parameter of parameters) {
    const [name = '', value = ''] = parameter.split('=', 2).map((part) => part.trim());
    if (name.toLowerCase() !== 'proto') continue;
    const proto = value.replace(/^"(.*)"$/, '$1');
    if (proto === protoVersion2) {
      return refuse(
        `remote write 2.0 (${protoVersion2}) is not supported; set protobuf_message: ${protoVersion1} in remote_write`,
      );
    }
    if (proto !== protoVersion1)
      return refuse(`message ${JSON.stringify(proto)} is not supported; send ${protoVersion1}`);
  }
  return undefined;
}

function refuse(message: string): HeaderRefusal {
  return { statusCode: 415, message };
}
