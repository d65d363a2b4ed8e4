// `node hold-snapshot.mjs DIRECTORY`: a reader of a store that holds one snapshot of it for as long as it runs.
import { open } from "lmdb";

const store = open({ path: process.argv[2], readOnly: true, noSubdir: false });
const transaction = store.useReadTransaction();
store.getBinary(Buffer.of(1), { transaction });
console.log("held");
setInterval(() => transaction, 60_000);
