# filesystems.dat to a picture: gnuplot -c compare-filesystems.gp DAT PNG
# Blocks are the filesystems' reads, then their writes, each headed by the filesystem's name.
set terminal pngcairo size 1200,900 font "sans,11"
set output ARG2
stats ARG1 using 3 nooutput
blocks = STATS_blocks / 2
set multiplot layout 2,1
set grid y
set style data yerrorbars
set xrange [-0.5:*]
set offsets 0, 0.8, 0, 0
set key outside right autotitle columnhead
set yrange [0:*]
set ylabel "GB/s"
set title "Reading KV: median and range over the rounds, by page x requests under way"
plot ARG1 index 0 using 1:3:4:5:xtic(2) lw 2 pt 7, \
     for [i=1:blocks-1] ARG1 index i using ($1+0.1*i):3:4:5 lw 2 pt 7
set title "Writing KV"
plot ARG1 index blocks using 1:3:4:5:xtic(2) lw 2 pt 7, \
     for [i=1:blocks-1] ARG1 index blocks+i using ($1+0.1*i):3:4:5 lw 2 pt 7
unset multiplot
