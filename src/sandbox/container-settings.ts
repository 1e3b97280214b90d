/** What a container is made from, as far as the config says it. Checked: nothing in it can take a promise away. */
export interface ContainerSettings {
  readonly image: string;
}
