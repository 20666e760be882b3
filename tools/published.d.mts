/** Types of `published.mjs`. */
export declare const home: string
export declare const isPlaceholder: boolean
export declare const engines: { readonly node: string }
export declare const engineName: string
export declare const folderOf: (name: string) => string
export declare const manifest: (own: Readonly<Record<string, unknown>>) => Readonly<Record<string, unknown>>
export declare const readme: (text: string, folder: string) => string
