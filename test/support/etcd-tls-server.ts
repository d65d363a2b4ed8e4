import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { EtcdBinaries } from "./etcd-binaries.ts";
import { etcdEnvironment, waitUntilHealthy } from "./etcd-server.ts";
import { restartablePorts } from "./ports.ts";
import { startProcess } from "./processes.ts";

const run = promisify(execFile);

export interface EtcdTlsServer extends AsyncDisposable {
  /** `127.0.0.1:41234`. */
  readonly address: string;
  readonly ca: Buffer;
  /** What it asks of clients. */
  readonly client: { readonly cert: Buffer; readonly key: Buffer };
}

/** A real etcd that speaks TLS and takes only clients with a certificate of its authority, which is made for it by openssl. */
export async function startEtcdTls(binaries: EtcdBinaries): Promise<EtcdTlsServer> {
  const directory = await mkdtemp(join(tmpdir(), "muster-etcd-tls-"));
  const at = (name: string) => join(directory, name);
  const openssl = (...parameters: string[]) => run("openssl", parameters, { cwd: directory });
  await openssl(
    ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"],
    ...["-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=test authority"],
  );
  await issue("server", "subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth");
  await issue("client", "extendedKeyUsage=clientAuth");
  const [port = 0, peer = 0, metrics = 0] = await restartablePorts(3);
  const child = await startProcess(
    binaries.etcd,
    [
      ...["--name", "tls", "--data-dir", at("data"), "--logger", "zap", "--log-level", "warn"],
      ...[
        "--listen-client-urls",
        `https://127.0.0.1:${port},https://127.0.0.2:${port}`,
        "--advertise-client-urls",
        `https://127.0.0.1:${port}`,
      ],
      ...[
        "--listen-peer-urls",
        `http://127.0.0.1:${peer}`,
        "--initial-advertise-peer-urls",
        `http://127.0.0.1:${peer}`,
      ],
      ...["--initial-cluster", `tls=http://127.0.0.1:${peer}`],
      ...["--listen-metrics-urls", `http://127.0.0.1:${metrics}`],
      ...["--cert-file", at("server.pem"), "--key-file", at("server.key")],
      ...["--client-cert-auth", "--trusted-ca-file", at("ca.pem")],
    ],
    { env: etcdEnvironment() },
  );
  const stop = async () => {
    await child.stop("SIGKILL");
    await rm(directory, { recursive: true, force: true });
  };
  try {
    await waitUntilHealthy(child, `http://127.0.0.1:${metrics}`);
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    address: `127.0.0.1:${port}`,
    ca: await readFile(at("ca.pem")),
    client: { cert: await readFile(at("client.pem")), key: await readFile(at("client.key")) },
    [Symbol.asyncDispose]: stop,
  };

  async function issue(name: string, extensions: string): Promise<void> {
    await writeFile(at(`${name}.ext`), extensions);
    await openssl(
      ...["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"],
      ...["-keyout", `${name}.key`, "-out", `${name}.csr`, "-subj", `/CN=${name}`],
    );
    await openssl(
      ...["x509", "-req", "-in", `${name}.csr`, "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"],
      ...["-days", "2", "-extfile", `${name}.ext`, "-out", `${name}.pem`],
    );
  }
}
