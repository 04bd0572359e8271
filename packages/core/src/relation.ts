/**
 * What an incoming message is to its sender: `"child"` continues the sender's trace, `"link"` begins a new
 * trace that links back to it, `"none"` begins a new trace and keeps nothing.
 */
export type Relation = "child" | "link" | "none";

/** A relation, or a function of the incoming message that decides it. A function that throws means `"link"`. */
export type RelationOption<Message> = Relation | ((message: Message) => Relation);

const RELATIONS: ReadonlySet<unknown> = new Set(["child", "link", "none"]);

export function isRelation(value: unknown): value is Relation {
  return RELATIONS.has(value);
}
