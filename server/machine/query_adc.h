/* QUERY_ADC: the analog inputs of the printer by the name of the section that reads them. Machine thread. */
#ifndef SERVER_MACHINE_QUERY_ADC_H
#define SERVER_MACHINE_QUERY_ADC_H

struct analog_in;
struct config_section;
struct printer;

/* Make `adc` (kept as long as the printer) known under the name of `section`. In a create hook. */
void query_adc_add(struct printer *printer, struct config_section *section, const struct analog_in *adc);

#endif
