#include <stdio.h>

struct word { struct word *next; unsigned long count; char text[64]; };
static struct word words[1000], *table[512];
static int used;

static unsigned hash(const char *s) {
    unsigned h = 5381;
    while (*s) h = h * 33 + (unsigned char)*s++;
    return h % 512;
}

static int same(const char *a, const char *b) {
    while (*a && *a == *b) a++, b++;
    return *a == *b;
}

static void count(const char *text) {
    struct word **w = &table[hash(text)];
    while (*w && !same((*w)->text, text)) w = &(*w)->next;
    if (!*w) {
        *w = &words[used++];
        sprintf((*w)->text, "%s", text);
    }
    (*w)->count++;
}

int main(void) {
    char text[64];
    while (used < 1000 && scanf("%63s", text) == 1) count(text);
    for (int i = 0; i < used; i++) printf("%lu %s\n", words[i].count, words[i].text);
    return 0;
}
