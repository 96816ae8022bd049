SET_PIN PIN=light VALUE=0.5
SET_PIN PIN="a b" VALUE='c;d' ; x
SET_FAN FAN=a SPEED=1e-3
SET_PIN RUN="G1 X1"
set_pin a=\" b=\\
