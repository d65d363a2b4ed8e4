/** Header blocks of a connection's peer as lists of fields (RFC 7541 section 6). */
import { FIELD_OVERHEAD_BYTES, Field } from "./field.ts";
import { HpackDynamicTable } from "./hpack-dynamic-table.ts";
import { HpackError } from "./hpack-error.ts";
import { HpackReader } from "./hpack-reader.ts";
import { STATIC_FIELDS } from "./hpack-static-table.ts";

/** How large a peer's table is until it says otherwise in a block (RFC 9113 section 6.5.2). */
const DEFAULT_TABLE_BYTES = 4_096;

/** First octets of a representation: a bit that says which it is, below it an integer's first bits. */
const INDEXED = 0x80;
const INDEXED_MASK = 0x7f;
const LITERAL_TO_ADD = 0x40;
const LITERAL_TO_ADD_MASK = 0x3f;
const TABLE_SIZE = 0x20;
const TABLE_SIZE_MASK = 0x1f;
/** Not to be added, or never to be added by anybody on the way: the same to who reads it. */
const LITERAL_MASK = 0x0f;

/** What the list of one block may have. */
export interface FieldLimits {
  /** Sizes of all fields together, each its name, value and 32. */
  readonly maxBytes: number;
  readonly maxFields: number;
}

/** Decodes the blocks of one connection, each of which may change what the next ones mean. */
export class HpackDecoder {
  readonly #tableBytes: number;
  readonly #table: HpackDynamicTable;
  readonly #reader = new HpackReader();

  /** `tableBytes`: the SETTINGS_HEADER_TABLE_SIZE that the peer was told; if below 4,096, by settings that it has acknowledged. */
  constructor(options: { readonly tableBytes: number }) {
    this.#tableBytes = options.tableBytes;
    this.#table = new HpackDynamicTable(Math.min(options.tableBytes, DEFAULT_TABLE_BYTES));
  }

  /**
   * The fields of a whole block in their order; undefined where they are beyond the limits: then the block was read all
   * the same, and the next one can be. Takes time by the block's length, and memory by the limits at most.
   * @throws HpackError where it is none; the decoder is of no use after that
   */
  decode(block: Buffer, limits: FieldLimits): readonly Field[] | undefined {
    const reader = this.#reader;
    const list = new BoundedList(limits);
    let isBeginning = true;
    reader.begin(block);
    while (!reader.isAtEnd) {
      const first = reader.octet();
      if (first < LITERAL_TO_ADD && first >= TABLE_SIZE) {
        if (!isBeginning) throw new HpackError("a table size update is not at the beginning of its block");
        this.#resize(reader.integer(first, TABLE_SIZE_MASK));
        continue;
      }
      isBeginning = false;
      if (first >= INDEXED) list.add(this.#field(reader.integer(first, INDEXED_MASK)));
      else if (first >= LITERAL_TO_ADD) this.#addLiteral(reader.integer(first, LITERAL_TO_ADD_MASK), list);
      else list.add(this.#literal(reader.integer(first, LITERAL_MASK), list.bytesLeft));
    }
    reader.end();
    return list.fields;
  }

  #addLiteral(nameIndex: number, list: BoundedList): void {
    const field = this.#literal(nameIndex, Math.max(list.bytesLeft, this.#table.maxBytes));
    if (field === undefined) this.#table.clear();
    else this.#table.add(field);
    list.add(field);
  }

  /** A field with a value of its own, and with a name of its own where `nameIndex` is 0; undefined beyond `mostBytes`. */
  #literal(nameIndex: number, mostBytes: number): Field | undefined {
    const name = nameIndex === 0 ? this.#reader.string(mostBytes) : this.#field(nameIndex).name;
    const value = this.#reader.string(mostBytes - FIELD_OVERHEAD_BYTES - (name?.length ?? 0));
    return name === undefined || value === undefined ? undefined : new Field(name, value);
  }

  #field(index: number): Field {
    const field =
      index <= STATIC_FIELDS.length ? STATIC_FIELDS[index - 1] : this.#table.at(index - STATIC_FIELDS.length - 1);
    if (field === undefined) throw new HpackError(`no field has the index ${index}`);
    return field;
  }

  #resize(bytes: number): void {
    if (bytes > this.#tableBytes) {
      throw new HpackError(`a table size update to ${bytes} is beyond the limit of ${this.#tableBytes}`);
    }
    this.#table.resize(bytes);
  }
}

/** The fields of a block, until they are too many or too large: then there are none. */
class BoundedList {
  fields: Field[] | undefined = [];
  /** Below 0 as soon as there were too many. */
  bytesLeft: number;
  #fieldsLeft: number;

  constructor(limits: FieldLimits) {
    this.bytesLeft = limits.maxBytes;
    this.#fieldsLeft = limits.maxFields;
  }

  /** Takes undefined for a field that is beyond what is left. */
  add(field: Field | undefined): void {
    if (this.fields === undefined) return;
    this.bytesLeft -= field === undefined ? Infinity : field.bytes;
    this.#fieldsLeft--;
    if (field !== undefined && this.bytesLeft >= 0 && this.#fieldsLeft >= 0) {
      this.fields.push(field);
    } else {
      this.fields = undefined;
      this.bytesLeft = -1;
    }
  }
}
